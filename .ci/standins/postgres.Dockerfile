# Debian's PostgreSQL, with the folders, the settings and the first start of the official image.
FROM standin-debian:trixie

# Told not to, the package makes no cluster: the entrypoint does, at the first start.
RUN install -d /etc/postgresql-common/createcluster.d /docker-entrypoint-initdb.d \
    && echo "create_main_cluster = false" >/etc/postgresql-common/createcluster.d/none.conf \
    && apt-get update -qq \
    && apt-get install -qq -y --no-install-recommends postgresql-17 locales >/dev/null \
    && apt-get clean \
    && rm -rf /var/lib/apt/lists/* \
    && localedef -i en_US -f UTF-8 en_US.UTF-8 \
    && install -d -o postgres -g postgres -m 1777 /var/lib/postgresql/data \
    && install -d -o postgres -g postgres -m 3777 /var/run/postgresql
COPY postgres-entrypoint.sh /usr/local/bin/docker-entrypoint.sh

ENV PATH=/usr/lib/postgresql/17/bin:$PATH PGDATA=/var/lib/postgresql/data LANG=en_US.UTF-8
VOLUME /var/lib/postgresql/data
EXPOSE 5432
# Fast shutdown: SIGTERM would wait for every client to leave.
STOPSIGNAL SIGINT
ENTRYPOINT ["docker-entrypoint.sh"]
CMD ["postgres"]
