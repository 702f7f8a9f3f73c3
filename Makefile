# Thin verbs; what they do lives in Rust or in scripts/.
CARGO  ?= cargo
PREFIX ?= /usr/local
DESTDIR ?=
SECONDS ?= 30
FOR ?= 10m
# The part that `make bench` measures; all of them without it.
WHAT ?=
# Where cargo puts what it builds.
BIN     = $(or $(CARGO_TARGET_DIR),target)/release
# Where bash, zsh and fish look for them, below PREFIX/share.
COMPLETIONS = bash-completion/completions/osqdemo zsh/site-functions/_osqdemo fish/vendor_completions.d/osqdemo.fish

.PHONY: help setup build demo up ps topics ksql down test lint bench fuzz chaos soak install uninstall clean

help: ## list these verbs
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

setup: ## check for the tools a build needs, install missing Debian packages
	@scripts/setup.sh

build: setup ## build everything, optimized
	$(CARGO) build --release --workspace --bins

demo: build ## build, start the stack, run the scenario, leave the stack up
	$(BIN)/osqdemo up
	$(BIN)/osqdemo scenario bigfile
	@echo 'The stack is still up. Next: $(BIN)/osqdemo ps, $(BIN)/osqdemo ksql, $(BIN)/osqdemo down'

test: ## run every test
	@scripts/setup.sh test
	@if docker version >/dev/null 2>&1; then scripts/base-image.sh && scripts/test-tools.sh; fi
	@scripts/kafka.sh fetch || echo 'test: Apache Kafka cannot be had here; the tests that need it are skipped' >&2
	@scripts/clients.sh --quick --fetch || echo 'test: not every Kafka client can be had here; those that cannot are not run' >&2
	@CARGO='$(CARGO)' scripts/test.sh

up: build ## start the stack
	$(BIN)/osqdemo up

ps: build ## what runs
	$(BIN)/osqdemo ps

topics: build ## what is in Kafka
	$(BIN)/osqdemo topics

ksql: build ## the ksqlDB prompt
	$(BIN)/osqdemo ksql

down: build ## stop the stack
	$(BIN)/osqdemo down

lint: setup ## formatting, lints and documentation, warnings denied
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS='-D warnings' $(CARGO) doc --workspace --no-deps --document-private-items

bench: build ## measure the figures of docs/figures.md, or one part: WHAT=pipeline, docker, extension, agent, broker, ksqldb, registry, console
	@if docker version >/dev/null 2>&1; then scripts/base-image.sh; fi
	@scripts/browser.sh || true
	$(CARGO) build --release --workspace --examples
	$(CARGO) bench --workspace --bench figures -- $(WHAT)

fuzz: ## search for inputs that break a parser or codec, SECONDS=30 for each
	@scripts/fuzz.sh $(SECONDS)

chaos: build ## do faults to the pipeline for FOR=10m and prove that nothing is lost
	$(BIN)/osqdemo -p chaos chaos --for $(FOR)

soak: ## what takes long: a broker on a disk that lies for SECONDS=30, 200 kills, an hour without Kafka, packs for 5 minutes; with HOURS=24 also the whole pipeline under faults for so long
	OSQDEMO_SOAK_SECONDS=$(SECONDS) $(CARGO) test --release --package osqdemo-broker --lib simulation -- --nocapture
	OSQDEMO_SOAK_KILLS=200 $(CARGO) test --release --package osqdemo-broker --test crash
	OSQDEMO_SOAK_KILLS=200 OSQDEMO_SOAK_AWAY_SECONDS=3600 \
		$(CARGO) test --release --package osquery-confluent --test extension -- faults::kills faults::a_long_absence
	OSQDEMO_SOAK_SECONDS=300 $(CARGO) test --release --package osquery-agent --test packs
	$(if $(HOURS),$(MAKE) chaos FOR=$(HOURS)h)

install: build ## put osqdemo, the extension, the agent, manual and completions below PREFIX
	install -d '$(DESTDIR)$(PREFIX)/bin' '$(DESTDIR)$(PREFIX)/libexec/osqdemo'
	install -m 0755 $(BIN)/osqdemo '$(DESTDIR)$(PREFIX)/bin/osqdemo'
	install -m 0755 $(BIN)/osqdemo-agent '$(DESTDIR)$(PREFIX)/libexec/osqdemo/osqdemo-agent'
	install -m 0755 $(BIN)/confluent-ext '$(DESTDIR)$(PREFIX)/libexec/osqdemo/confluent.ext'
	$(BIN)/osqdemo --quiet man '$(DESTDIR)$(PREFIX)/share/man/man1'
	install -d $(foreach file,$(COMPLETIONS),'$(DESTDIR)$(PREFIX)/share/$(dir $(file))')
	$(BIN)/osqdemo completions bash >'$(DESTDIR)$(PREFIX)/share/$(word 1,$(COMPLETIONS))'
	$(BIN)/osqdemo completions zsh >'$(DESTDIR)$(PREFIX)/share/$(word 2,$(COMPLETIONS))'
	$(BIN)/osqdemo completions fish >'$(DESTDIR)$(PREFIX)/share/$(word 3,$(COMPLETIONS))'

uninstall: ## remove what install put there
	rm -f '$(DESTDIR)$(PREFIX)/bin/osqdemo'
	rm -rf '$(DESTDIR)$(PREFIX)/libexec/osqdemo'
	rm -f '$(DESTDIR)$(PREFIX)/share/man/man1/osqdemo.1' '$(DESTDIR)$(PREFIX)'/share/man/man1/osqdemo-*.1
	rm -f $(foreach file,$(COMPLETIONS),'$(DESTDIR)$(PREFIX)/share/$(file)')

clean: ## remove everything that was built
	$(CARGO) clean
