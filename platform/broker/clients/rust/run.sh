# Clients in Rust: one package, whose Cargo.lock says which. Read by scripts/clients.sh.

rust_install() {
  (
    cd "$sources/rust"
    CARGO_TARGET_DIR=$installed/rust cargo build --quiet --locked --bin "$rust_program" --features "$rust_program"
  )
}

for rust_program in krafka rdkafka rskafka; do
  client "rust/$rust_program" "$rust_program" rust_install "$installed/rust/debug/$rust_program"
done
