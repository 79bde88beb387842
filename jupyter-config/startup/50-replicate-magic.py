# Makes %%replicate and %replicate known; the package is imported when one of them is first used.
get_ipython().magics_manager.register_lazy("replicate", "replicate_magic")  # noqa: F821
