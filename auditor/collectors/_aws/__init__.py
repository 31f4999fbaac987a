"""The parts of the AWS collector; see `auditor.collectors.aws`."""
