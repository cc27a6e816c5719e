"""What a person is likely to like, from what they and others did: docs/recommendations.md. Read `recommender` first."""
