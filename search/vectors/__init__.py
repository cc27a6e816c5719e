"""search/vectors"""
