"""Times of day as minutes since midnight."""

MINUTES_PER_HOUR = 60
MINUTES_PER_DAY = 24 * MINUTES_PER_HOUR


def parse(text):
    """Minutes since midnight of a time written "hh:mm"."""
    hours, minutes = text.split(":")
    return int(hours) * MINUTES_PER_HOUR + int(minutes)


def stay(arrival, departure):
    """Minutes from arrival to departure; a departure before the arrival is on the next day."""
    minutes = parse(departure) - parse(arrival)
    if minutes < 0:
        minutes += MINUTES_PER_DAY
    return minutes
