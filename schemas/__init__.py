"""What travels between the parts of Rapport: typed records, their bytes, their keys, their failures."""
