# Debian's Python, under the names and with the freedom (pip may install) of the official image.
FROM standin-debian:trixie

RUN apt-get update -qq \
    && apt-get install -qq -y --no-install-recommends python3 python3-pip python3-venv >/dev/null \
    && apt-get clean \
    && rm -rf /var/lib/apt/lists/* /usr/lib/python3.13/EXTERNALLY-MANAGED \
    && for name in python python3 python3.13; do ln -s /usr/bin/python3.13 /usr/local/bin/$name; done

CMD ["python3"]
