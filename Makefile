# What a person types. CI types the same through .ci/run.
#
#   make demo    build, start a node on embedded defaults, deploy a sample application
#   make test    install what is missing, run every test against real services
#   make check   format, lints, documentation, edges, dependency policy
#   make bench   measure; BENCH=<group> chooses one
#   make fuzz    look for inputs that break FUZZ=unit_file|put_body|template|frame; needs a nightly compiler

SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help demo test check deny bench fuzz prerequisites

CARGO ?= cargo
TARGET := $(if $(CARGO_TARGET_DIR),$(CARGO_TARGET_DIR),target)
TOOLS := $(if $(XDG_CACHE_HOME),$(XDG_CACHE_HOME),$(HOME)/.cache)/openaperture/tools
DENY_VERSION := 0.20.2

help:
	@sed -n 's/^#   //p' Makefile

demo: prerequisites
	$(CARGO) build --locked --profile demo -p oa-node -p oa-cli
	$(CARGO) rustc --locked --profile demo -p hello-server -- -C target-feature=+crt-static
	@$(TARGET)/demo/oa demo

test: prerequisites
	@$(CARGO) nextest --version >/dev/null 2>&1 || $(CARGO) install --locked cargo-nextest
	$(CARGO) build --locked -p oa-node -p oa-cli -p hello-server -p oa-test-services
	$(TARGET)/debug/oa-test-services -- $(CARGO) nextest run --locked --workspace --no-fail-fast $(NEXTEST)
	$(CARGO) test --locked --workspace --doc --quiet

check: deny
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --workspace --no-deps --quiet
	$(CARGO) run --locked --quiet -p oa-checks

# The tool takes minutes to build, so it is built once, outside the checkout.
deny: $(TOOLS)/bin/cargo-deny
	PATH="$(TOOLS)/bin:$$PATH" $(CARGO) deny --locked check bans licenses sources

$(TOOLS)/bin/cargo-deny:
	$(CARGO) install --locked cargo-deny --version $(DENY_VERSION) --root $(TOOLS) --target-dir $(TOOLS)-target
	rm -rf $(TOOLS)-target

bench:
	$(CARGO) build --locked --release -p oa-node -p oa-cli -p hello-server -p oa-bench
	$(TARGET)/release/oa-bench $(BENCH)

# Seeds are read from tests/fuzz/corpus; what is found stays under target/, to be made a seed by hand.
FUZZ ?= unit_file
FUZZ_SECONDS ?= 60
fuzz: prerequisites
	@$(CARGO) +nightly --version >/dev/null 2>&1 || \
	    { echo "make: libFuzzer needs a nightly compiler: rustup toolchain install nightly" >&2; exit 1; }
	@$(CARGO) fuzz --version >/dev/null 2>&1 || $(CARGO) install --locked cargo-fuzz
	mkdir -p $(TARGET)/fuzz/$(FUZZ)
	$(CARGO) +nightly fuzz run --fuzz-dir tests/fuzz/libfuzzer --target-dir $(abspath $(TARGET))/libfuzzer $(FUZZ) \
	    $(abspath $(TARGET))/fuzz/$(FUZZ) tests/fuzz/corpus/$(FUZZ) -- -max_total_time=$(FUZZ_SECONDS) -max_len=16384

# Installs what the demo needs and the machine lacks, or says how and stops.
prerequisites:
	@missing=""; \
	command -v git >/dev/null || missing="$$missing git"; \
	command -v cc >/dev/null || missing="$$missing gcc libc6-dev"; \
	if ! command -v $(CARGO) >/dev/null; then \
	    echo "make: Rust is missing; install it from https://rustup.rs and try again" >&2; exit 1; \
	fi; \
	if [ -n "$$missing" ]; then \
	    if [ "$$(id -u)" = 0 ]; then \
	        echo "make: installing$$missing"; apt-get update && apt-get install -y --no-install-recommends $$missing; \
	    else \
	        echo "make: missing$$missing; run: sudo apt-get install -y$$missing" >&2; exit 1; \
	    fi; \
	fi
