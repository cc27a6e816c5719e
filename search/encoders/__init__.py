"""search/encoders"""
