"""What operators do with refused records: look at them, try them again, drop them.

letters   a dead letter as it lies in its topic, which ones are meant, and what trying one again would write (pure)
marks     what was done with which dead letter (pure)
store     both, read from Kafka
settle    retry and drop: records and marks in one transaction
"""
