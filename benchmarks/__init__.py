"""What jaxgen's hot paths cost, each beside something that does comparable work: `python -m benchmarks [topics]`."""
