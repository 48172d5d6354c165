"""The ground floor: settings, the lake of landings and the warehouse of releases. Imports nothing above it."""
