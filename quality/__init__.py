"""The gate: what must be true of a landing before it is accepted, and of a release before readers see it."""
