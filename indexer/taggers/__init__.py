"""indexer/taggers"""
