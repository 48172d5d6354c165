"""Exit 0 when the named component of Airflow reports to the server that it lives. Standard library only: it runs often.

A server that answers says nothing about the scheduler behind it; their heartbeats, which the server knows, do.
"""

import json
import sys
from urllib.request import urlopen

try:
    with urlopen("http://api-server:8080/api/v2/monitor/health", timeout=5) as answer:
        status = json.load(answer)[sys.argv[1]]["status"]
except OSError as error:
    sys.exit(f"The server does not answer: {error}")
sys.exit(status != "healthy" and f"{sys.argv[1]} is {status}")
