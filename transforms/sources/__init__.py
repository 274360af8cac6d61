"""Where records come from: the journal, files, and later Kafka and Pub/Sub, behind one small interface."""
