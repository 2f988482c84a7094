# Two commands: `make demo` shows the whole path on phantoms, `make test` passes the tests. Both set everything up.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: demo serve-demo adult test check lint types floors bench fuzz docs screenshots clean

demo: $(STAMP)  ## phantoms, training, evaluation, readings; ends in one HTML page
	$(BIN)/cxreader demo --out demo

serve-demo: $(STAMP) demo/index.html  ## the service: phantoms sent by C-STORE, read, ordered, results at a peer
	$(BIN)/cxreader serve demo --model demo/run --out demo/service

demo/index.html: | $(STAMP)  ## of the demonstration, whose network the service reads with
	$(BIN)/cxreader demo --out demo

test: $(STAMP)  ## every test that this machine can run, in three processes of one thread each: some wait for servers
	OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE $(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder

check: lint types floors test  ## what CI runs

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)
	$(BIN)/mypy

floors: $(STAMP)  ## who may import whom
	$(BIN)/lint-imports
	$(BIN)/lint-imports --config importlinter-torch.toml

adult: $(STAMP)  ## the adult reader from the folders that docs/how-to/adult-reader.md names: trained, judged, exported
	$(BIN)/cxreader train src/cxreader/configs/adult.toml --out runs/adult --resume
	$(BIN)/cxreader evaluate runs/adult
	$(BIN)/cxreader study regions runs/adult --out runs/adult-regions
	$(BIN)/cxreader evaluate runs/adult  # once more: the model card tells what the regions are worth

bench: $(STAMP)  ## ratios against peers, a part at a time; writes benchmarks/README.md
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[bench]'
	$(BIN)/python benchmarks/run.py

fuzz: $(STAMP)  ## damaged files and tables for two and a half minutes; the tests do so for a few seconds
	$(BIN)/python -W error -m tests.imaging.fuzz --seconds 120
	$(BIN)/python -W error -m tests.tables.fuzz --seconds 30

docs: $(STAMP)  ## the generated reference pages
	$(BIN)/python docs/generate.py

screenshots: $(STAMP) demo/index.html  ## the pictures of the service's pages in docs/images; needs Chromium
	$(BIN)/python docs/screenshots.py

$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[train,dicom,dicom-gpl,serve,postgres,dev]'
	touch $(STAMP)

clean:
	rm -rf $(VENV) demo build dist src/*.egg-info
