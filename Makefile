# A thin front of CMake: every target says what it does and can be run again.
#
#   make quickstart   install what is needed, build, compare five optimizers, show the report
#   make check        install what is needed for tests, build, run the whole test suite
#   make check-fuzz   every reader under clang's libFuzzer, with the sanitizers
#   make build        the release binary build/release/bin/ravine
#   make bench        the engine's speed beside the machine's limits and PyTorch
#   make bench-steps  of these only the training steps; RAVINE_BENCH_OPTIONS="--models mlp"
#   make wheel        the Python package, build/release/dist/ravine-*.whl
#   make bench-optim  every optimizer's step beside the machine's copy, PyTorch and JAX
#   make install      PREFIX=/usr/local DESTDIR=

PREFIX  ?= /usr/local
DESTDIR ?=
JOBS    ?= $(shell nproc)
BUILD   := build/release
RAVINE  := $(BUILD)/bin/ravine

.PHONY: all quickstart check check-quick check-clang check-sanitizers check-fuzz setup setup-check build \
        bench bench-steps bench-optim wheel install uninstall clean

all: build

setup:
	@sh tools/setup.sh build

setup-check:
	@sh tools/setup.sh build check

$(BUILD)/build.ninja:
	cmake --preset release -DCMAKE_INSTALL_PREFIX=$(PREFIX)

build: $(BUILD)/build.ninja
	cmake --build $(BUILD) --parallel $(JOBS) --target ravine_program

quickstart: setup
	@$(MAKE) --no-print-directory build
	$(RAVINE) bench --suite quick --out runs/bench-quick

# Configures anew: what setup-check has just installed is to be seen.
check: setup-check
	cmake --preset release -DCMAKE_INSTALL_PREFIX=$(PREFIX)
	cmake --build $(BUILD) --parallel $(JOBS)
	ctest --no-tests=error --test-dir $(BUILD) --output-on-failure --parallel $(JOBS)

# What follows needs the packages of `make setup-check`.
check-quick: $(BUILD)/build.ninja
	cmake --build $(BUILD) --parallel $(JOBS)
	ctest --no-tests=error --test-dir $(BUILD) --output-on-failure --parallel $(JOBS) -LE slow

check-clang:
	cmake --preset clang
	cmake --build build/clang --parallel $(JOBS)
	ctest --no-tests=error --test-dir build/clang --output-on-failure --parallel $(JOBS) -LE slow

check-sanitizers:
	cmake --preset asan
	cmake --build build/asan --parallel $(JOBS)
	ctest --no-tests=error --test-dir build/asan --output-on-failure --parallel $(JOBS) -LE "slow|no-sanitizer"
	cmake --preset tsan
	cmake --build build/tsan --parallel $(JOBS)
	ctest --no-tests=error --test-dir build/tsan --output-on-failure --parallel $(JOBS) -L threads

FUZZ := scores methods config arrays images

check-fuzz:
	cmake --preset fuzz
	cmake --build build/fuzz --parallel $(JOBS) --target $(addprefix fuzz_,$(FUZZ))
	ctest --no-tests=error --test-dir build/fuzz --output-on-failure --parallel $(JOBS) -L fuzz

bench: build
	cmake --build $(BUILD) --parallel $(JOBS) --target bench_kernels bench_layers bench_train
	@sh bench/run.sh $(BUILD)

bench-steps: build
	cmake --build $(BUILD) --parallel $(JOBS) --target bench_train
	python3 bench/compare.py $(BUILD) --python "$${RAVINE_PEER_PYTHON:-python3}" $(RAVINE_BENCH_OPTIONS)

bench-optim: build
	cmake --build $(BUILD) --parallel $(JOBS) --target bench_optim
	python3 bench/compare_optim.py $(BUILD) --python "$${RAVINE_PEER_PYTHON:-python3}" \
	  --jax-python "$${RAVINE_PEER_JAX_PYTHON:-python3}" $(RAVINE_BENCH_OPTIONS)

wheel: build
	cmake --build $(BUILD) --parallel $(JOBS) --target wheel
	@ls $(BUILD)/dist/*.whl

install: build
	cmake --build $(BUILD) --parallel $(JOBS)
	DESTDIR=$(DESTDIR) cmake --install $(BUILD) --prefix $(PREFIX)

uninstall:
	@test -f $(BUILD)/install_manifest.txt || { echo "nothing was installed from here"; exit 1; }
	xargs -d '\n' -I{} rm -fv "$(DESTDIR){}" < $(BUILD)/install_manifest.txt

clean:
	rm -rf build
