# Clients in Node. Read by scripts/clients.sh.

node_install() {
  local place=$installed/node/$node_place headers
  # What is compiled takes the headers that came with Node.
  headers=$(dirname "$(dirname "$(realpath "$(command -v node)")")")
  [ ! -e "$headers/include/node/node.h" ] || local -x npm_config_nodedir=$headers
  [ -e "$place/complete" ] || {
    mkdir -p "$place"
    npm install --prefix "$place" --no-audit --no-fund --silent "${node_packages[@]}" && touch "$place/complete"
  } || return
  # Beside what was installed, so that it is found.
  cp "$sources/node"/*.js "$place/"
}

node_client() {
  node_place=$1 node_packages=("${@:3}")
  client "node/$1" "$2" node_install node "$installed/node/$1/$1.js"
}

node_client kafkajs kafkajs kafkajs kafkajs-snappy
node_client platformatic @platformatic/kafka @platformatic/kafka
node_client rdkafka node-rdkafka node-rdkafka
