"""SynaptoRoute for LangChain, LangGraph, LlamaIndex, notebooks, HTTP and the command line.

Each adapter is a module of its own, and importing this package imports none of them:
``synaptoroute_integrations.cli`` is the command line. The engine is :mod:`synaptoroute_core`.
"""
