"""The source systems of a made-up streaming product, and the truth about it. A fork deletes this folder."""
