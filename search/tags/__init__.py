"""search/tags"""
