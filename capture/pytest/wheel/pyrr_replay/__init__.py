"""pyrr records test runs and replays them exactly. The command is pyrr; in this
package is what `pytest --pyrr` needs (pytest_plugin)."""
