# leasehold: the DHCP heart of a small router. `make` explains every target.

VERSION := 0.1.0
GO      ?= go
PAGE    ?= 127.0.0.1:8080
ARCHES  := mips mipsle armv5 armv7 arm64 amd64
HOST     = $(patsubst arm,armv7,$(shell $(GO) env GOHOSTARCH))

# Routers with MIPS have no floating point unit, and their kernels emulate none.
env_mips   := GOARCH=mips GOMIPS=softfloat
env_mipsle := GOARCH=mipsle GOMIPS=softfloat
env_armv5  := GOARCH=arm GOARM=5
env_armv7  := GOARCH=arm GOARM=7
env_arm64  := GOARCH=arm64
env_amd64  := GOARCH=amd64

# What the builder's environment says must not change the bytes.
fixed := GOOS=linux CGO_ENABLED=0 GOFLAGS= GOEXPERIMENT= GOAMD64=v1 GOARM64=v8.0
lab    = CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=false -o build/lab ./cmd/lab
mkfirmware = CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=false -ldflags '-X main.version=$(VERSION)' -o build/mkfirmware ./cmd/mkfirmware

# What an image is made of. What was not given is left out.
given = $(foreach f,$(1),$(if $($(f)),-$(shell echo $(f) | tr A-Z a-z) $($(f))))

.DEFAULT_GOAL := help
.PHONY: help run test big-endian check build size bench crash wear fuzz boards board image initramfs kernel qemu qemu-test clean go need-test $(ARCHES:%=build/leasehold-%)

help: ## this list
	@echo 'leasehold $(VERSION): DHCP server, DHCP client, lease ring and status page for small routers'
	@echo
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

go:
	@command -v $(GO) >/dev/null || { echo 'Go 1.26 or newer is needed: https://go.dev/doc/install'; exit 1; }

run: go build/leasehold-$(HOST) ## a whole network on this machine, until Ctrl-C (SHORT=1: a power cut within a minute; PAGE=address:port)
	@$(lab)
	@build/lab -leasehold build/leasehold-$(HOST) -page $(PAGE) $(if $(SHORT),-short)

test: go need-test build check ## prove it: unit tests, real DHCP programs in namespaces, every CPU under qemu-user
	$(GO) test -race -timeout 45m ./...

big-endian: go need-test ## the unit tests of what runs on a router, on big-endian MIPS under qemu-user
	GOARCH=mips GOMIPS=softfloat CGO_ENABLED=0 $(GO) test -exec qemu-mips ./dhcp/... \
		$(addprefix ./firmware/,boot config flash/... ring router status)

check: go ## formatting and vet, for both byte orders
	@unformatted=$$($$($(GO) env GOROOT)/bin/gofmt -l boards cmd dhcp firmware) && test -z "$$unformatted" || { echo "gofmt would change: $$unformatted"; exit 1; }
	$(GO) vet ./...
	GOARCH=mips $(GO) vet ./cmd/leasehold ./dhcp/... ./firmware/...

build: go $(ARCHES:%=build/leasehold-%) ## static, stripped, reproducible binaries for every CPU, in build/

$(ARCHES:%=build/leasehold-%): build/leasehold-%: | go
	@mkdir -p build
	$(fixed) $(env_$*) $(GO) build -trimpath -buildvcs=false \
		-ldflags '-s -w -buildid= -X main.version=$(VERSION)' -o $@ ./cmd/leasehold

size: build ## how large the binaries are, raw and compressed with xz
	@printf '%-10s %10s %10s\n' CPU raw xz
	@for a in $(ARCHES); do \
		printf '%-10s %10d %10d\n' $$a $$(stat -c %s build/leasehold-$$a) $$(xz -9e --check=crc32 -c build/leasehold-$$a | wc -c); \
	done

bench: go build/leasehold-$(HOST) ## benchmarks of the parts, and of the whole beside dnsmasq, ISC dhcpd, Kea and udhcpd
	$(GO) test -run '^$$' -bench . -benchmem ./dhcp/... ./firmware/...
	@$(lab)
	@build/lab -leasehold build/leasehold-$(HOST) -measure build

crash: go ## cut the power of the ring at every point, two deep (half an hour)
	LEASEHOLD_CRASH=1 $(GO) test -run PowerCut -v -timeout 3h ./firmware/ring

wear: go ## a year of a household, in peace and under attack (minutes)
	LEASEHOLD_WEAR=1 $(GO) test -run Year -v -timeout 1h ./firmware/router

fuzz: go ## every fuzz target, 50 000 inputs each
	@for p in $$($(GO) list ./...); do \
		for f in $$($(GO) test -list '^Fuzz' $$p | grep '^Fuzz'); do \
			$(GO) test -run '^$$' -fuzz "^$$f\$$" -fuzztime 50000x -fuzzminimizetime 20x $$p || exit 1; \
		done; \
	done

boards: go ## the boards that images are made for
	@$(mkfirmware)
	@build/mkfirmware boards

image: go build ## an image to flash: BOARD=name KERNEL=file (DTB=file MODULES=dir CONFIG=dir INIT=slim KIND=kind KEY=file)
	@$(mkfirmware)
	@test -n '$(BOARD)' || { build/mkfirmware boards; echo 'which BOARD, and with which KERNEL?'; exit 1; }
	@build/mkfirmware pack -board $(BOARD) $(call given,KERNEL DTB MODULES CONFIG INIT KIND KEY)

board: # which board must be said
	@test -n '$(BOARD)' || { echo 'which BOARD=name? make boards lists them'; exit 1; }

initramfs: board go build ## the initramfs alone, for CONFIG_EXTERNAL_CPIO of an OpenWrt build: BOARD=name (CONFIG=dir MODULES=dir INIT=slim)
	@$(mkfirmware)
	@build/mkfirmware initramfs -board $(BOARD) $(call given,MODULES CONFIG INIT) -o build/images/$(notdir $(BOARD)).cpio

kernel: board go ## Debian's kernel for an emulated board, in build/kernels: BOARD=name (qemu_malta-be: built from Debian's sources, minutes)
	@$(mkfirmware)
	@test '$(BOARD)' != qemu_malta-be || { $(lab) && build/lab -need kernel; }
	@build/mkfirmware fetch-kernel -board $(BOARD)

qemu: board go build ## boot an emulated board at this terminal, its page at PAGE: BOARD=name (CONFIG=dir INIT=slim; make boards lists them)
	@$(lab) && build/lab -need qemu
	@$(MAKE) -s kernel BOARD=$(BOARD) >/dev/null
	@build/mkfirmware pack -board $(BOARD) $(call given,CONFIG INIT) -o build/images/$(BOARD) >build/images.log || { cat build/images.log; exit 1; }
	@build/lab -boot $(BOARD) -image build/images/$(BOARD) -page $(PAGE)

qemu-test: go need-test build ## boot the emulated boards on Debian's kernels, serve, cut the power, boot again (minutes; qemu_malta-be if its kernel was made)
	@$(lab) && build/lab -need qemu
	@$(mkfirmware)
	@for b in qemu_ast2600-evb qemu_malta-le qemu_virt-arm qemu_virt-arm64; do build/mkfirmware fetch-kernel -board $$b || exit 1; done
	LEASEHOLD_QEMU=1 $(GO) test -count=1 -timeout 40m -run 'TestBoardBoots|TestRescueShell|TestVLANWithPriority' -v ./cmd/lab

need-test: go
	@$(lab) && build/lab -need test

clean: ## remove what was built
	rm -rf build
