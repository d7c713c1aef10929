# The front door; each line can also be typed by hand.

export PATH := $(CURDIR)/.venv/bin:$(PATH)

.PHONY: install test demo learn constraints

install: # .venv with the project, editable, at the versions of constraints.txt
	@sh launch/install.sh

test: install
	@.venv/bin/python -m pytest

demo: install
	@.venv/bin/snakemake --profile local --config suite=demo

learn: install # Three Dreamers learn Catch from pixels, three seeds each: half an hour on two cores
	@.venv/bin/snakemake --profile local --config suite=learn agents=dreamerv1,dreamerv2,dreamerv3

constraints: # Pins anew what pyproject.toml asks for; UPGRADE=numpy or UPGRADE=all also moves versions
	@sh launch/install.sh constraints $(UPGRADE)
