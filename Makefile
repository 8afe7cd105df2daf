# Every target does its own set-up: missing system packages, then the build.
# Nothing here needs an AWS account or touches the machine's own network.

.DEFAULT_GOAL := help
.PHONY: help build demo test lint clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-7s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## release programs, static, into bin/: ipamd, aws-cni, vpcctl, vpc-lab
	@scripts/build.sh

demo: ## two nodes, forty pods, real packets; a table of claims, measurements and verdicts
	@scripts/demo.sh

test: ## everything that can be tested on this machine; ends with a line of counts
	@scripts/test.sh

lint: ## formatting, clippy and rustdoc, warnings denied
	@scripts/lint.sh

clean: ## removes what was built
	@rm -rf bin target
