"""Packaging of Rapport: the four packages by name, their data files, core requirements and extras."""

from setuptools import setup

CORE = [
    "apache-beam>=2.77,<2.78",  # the embedded engine drives Beam's DoFn invoker, so the minor version is fixed
    "google-cloud-pubsub>=2.44",
    "fastavro>=1.13",
    "onnxruntime>=1.31",
    "redis>=8.1",
    "pyarrow>=25,<26",  # 2026-11: apache-beam 2.77 refuses 26
    "numpy>=2.4,<2.5",  # 2026-11: apache-beam 2.77 refuses 2.5
    "msgspec>=0.22",
    "jinja2>=3.1.6",
    "cryptography>=46",
    "pyyaml>=6",
    "click>=8.5",
    "rich>=15",
    "tzdata",
]
COLLECTOR = ["starlette>=1.10", "uvicorn[standard]>=0.54", "aiohttp>=3.14"]
NLP = ["py3langid>=0.4"]
KAFKA = ["confluent-kafka>=2.16,<3"]
REDIS = ["redis[hiredis]>=8.1"]  # the same client with a reader in C
MAIL = ["aiosmtplib>=5.1", "dkimpy>=1.1.8"]
ANALYST = ["duckdb>=2.0"]
DATAFLOW = ["apache-beam[gcp]>=2.77,<2.78"]  # only where the job is handed in; it brings a package called `tests`
TRAIN = ["scikit-learn>=1.9", "onnx>=1.23"]
TEST = ["pytest>=9", "aiosmtpd>=1.4.6", "pytest-xdist>=3.8", "pytest-timeout>=2.4", "hypothesis>=6.170", "psutil"]
LINT = ["ruff==0.17.6", "mypy==2.4.1"]

setup(
    name="rapport",
    version="0.1.0",
    description="Listens to everything said and done around a brand and answers each person within seconds.",
    license="Apache-2.0",
    python_requires=">=3.11",
    packages=[
        "pipelines",
        "pipelines.local",
        "pipelines.demo",
        "transforms",
        "transforms.logic",
        "transforms.sources",
        "transforms.channels",
        "transforms.stores",
        "transforms.topics",
        "models",
        "models.train",
        "schemas",
    ],
    package_data={
        "schemas": ["*.avsc"],
        "models": ["*.onnx", "registry.json", "cards/*.md"],
        "pipelines.demo": ["workspace/*.yaml", "workspace/*/*"],
    },
    install_requires=CORE,
    extras_require={
        "collector": COLLECTOR,
        "nlp": NLP,
        "kafka": KAFKA,
        "redis": REDIS,
        "mail": MAIL,
        "analyst": ANALYST,
        "dataflow": DATAFLOW,
        "train": TRAIN,
        "test": TEST,
        "lint": LINT,
        "demo": [*COLLECTOR, *NLP, *ANALYST, "setuptools>=80"],  # setuptools installs the console script
        "all": [*COLLECTOR, *NLP, *KAFKA, *REDIS, *MAIL, *ANALYST, *TRAIN, *TEST, *LINT, "setuptools>=80"],
    },
    entry_points={"console_scripts": ["rapport = pipelines.__main__:main"]},
)
