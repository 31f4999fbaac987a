"""The parts of the AWS benchmark that run in processes of their own."""
