"""The command line `reasonmed`: one small module a group of commands, each importing what is heavy when it is run."""
