"""``python -m synaptoroute_integrations`` is the command ``synaptoroute``."""

from synaptoroute_integrations.cli import main

if __name__ == "__main__":
    main()
