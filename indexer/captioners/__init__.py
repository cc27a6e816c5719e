"""indexer/captioners"""
