"""Whether an installation, a configuration and a machine are fit for the nights of a site."""
