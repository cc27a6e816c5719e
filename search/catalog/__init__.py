"""search/catalog"""
