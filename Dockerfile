# Coinlake itself. What the bootstrap fetches comes first: it changes less often than the sources.
FROM node:24.11.1-bookworm-slim
RUN apt-get update \
  && apt-get install -y --no-install-recommends python3 python3-venv \
  && rm -rf /var/lib/apt/lists/*
USER node
WORKDIR /home/node/coinlake
COPY --chown=node package.json package-lock.json ./
COPY --chown=node bin bin
COPY --chown=node requirements requirements
RUN node bin/bootstrap.js -- node --version && mkdir /home/node/data
COPY --chown=node . .
VOLUME /home/node/data
EXPOSE 4000
ENTRYPOINT ["node", "bin/bootstrap.js", "--", "node", "src/cli/main.ts"]
CMD ["start", "--host", "0.0.0.0", "--data", "/home/node/data"]
