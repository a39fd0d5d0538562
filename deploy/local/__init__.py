"""The whole system on one machine: PostgreSQL, Kafka, the services and their supervisor."""
