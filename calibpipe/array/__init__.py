"""The array as a whole: telescopes compared with each other by the showers they share."""
