# Clients in Python, each with an environment of its own. Read by scripts/clients.sh.

python_packages=()
python_install() {
  local place=$installed/python/$python_place
  "$place/bin/python" -c '' 2>/dev/null && [ -e "$place/complete" ] && return
  rm -rf "$place"
  mkdir -p "$installed/python"
  "${python_program:-python3}" -m venv "$place" && "$place/bin/pip" install --quiet "${python_packages[@]}" && touch "$place/complete"
}

python_client() {
  python_place=$1 python_packages=("${@:4}")
  client "python/$1" "$2" python_install "$installed/python/$1/bin/python" -W ignore "$sources/python/$3"
}

# An older Python, for what has no build for a newer one: on the path, or as pyenv keeps it.
older_python() {
  local found
  for found in python3.9 ~/.pyenv/versions/3.9.*/bin/python3.9; do
    # pyenv's own command on the path is there for versions too that are not the chosen one, and fails for them.
    ! "$found" -c '' 2>/dev/null || { echo "$found"; return; }
  done
}

codecs=(lz4 python-snappy zstandard cramjam)
python_client confluent "confluent-kafka" confluent.py confluent-kafka
python_client confluent-2.0 "confluent-kafka 2.0" confluent.py "confluent-kafka==2.0.2"
python_program=$(older_python)
python_program=${python_program:-python3.9}
for older in 1.8 1.7; do
  python_client "confluent-$older" "confluent-kafka $older" confluent.py "confluent-kafka==$older.*"
done
python_program=''
python_client kafka-python "kafka-python" kafka_python.py kafka-python "${codecs[@]}"
python_client kafka-python-2.3 "kafka-python 2.3" kafka_python.py "kafka-python==2.3.*" "${codecs[@]}"
python_client kafka-python-1.4 "kafka-python 1.4" kafka_python.py "kafka-python==1.4.7" "${codecs[@]}"
python_client aiokafka "aiokafka" aiokafka_client.py aiokafka "${codecs[@]}"

# Frameworks, each with what its check sends and reads with.
python_framework() {
  python_place=$1 python_packages=("${@:2}")
  client "python/$1" "$1" python_install "$installed/python/$1/bin/python" -W ignore "$sources/python/frameworks.py" "$1"
}
python_framework faust faust-streaming
python_framework quixstreams quixstreams
python_framework faststream "faststream[kafka]"
