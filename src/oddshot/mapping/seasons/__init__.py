"""Seasons of series: `usual` says what readings are like at each moment of one."""
