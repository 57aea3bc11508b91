"""Sudokus, many at once."""

from loop import WRONG, Loop

LONGEST = 100


def neighbours(field):
    row, column = divmod(field, 9)
    top, left = row // 3 * 3, column // 3 * 3
    fields = {9 * row + one for one in range(9)} | {9 * one + column for one in range(9)}
    fields |= {9 * (top + one // 3) + left + one % 3 for one in range(9)}
    return fields - {field}


NEIGHBOURS = [neighbours(field) for field in range(81)]
DIGITS = frozenset("123456789")


def solve(fields):
    best = None
    for field in range(81):
        if fields[field] == "0":
            choices = DIGITS - {fields[one] for one in NEIGHBOURS[field]}
            if best is None or len(choices) < len(best[1]):
                best = field, choices
            if len(choices) < 2:
                break
    if best is None:
        return True
    field, choices = best
    for digit in choices:
        fields[field] = digit
        if solve(fields):
            return True
    fields[field] = "0"
    return False


def answer(line):
    """The answer, or nothing if the line is no request."""
    name, colon, digits = line.decode(errors="replace").partition(":")
    if not (colon and digits.endswith("\r\n")):
        return None
    fields = list(digits[:-2])
    if len(fields) != 81 or not DIGITS | {"0"} >= set(fields):
        return None
    return f"{name}:{''.join(fields) if solve(fields) else 'NoSolution'}\r\n".encode()


class Server(Loop):
    def received(self, client, data):
        client.input += data
        # The wrong one takes what has come for a line.
        lines = [bytes(client.input)] if WRONG else client.lines()
        if WRONG:
            client.input.clear()
        for line in lines:
            text = answer(line)
            if text is None:
                return self.refuse(client)
            client.output += text
        if len(client.input) > LONGEST:
            self.refuse(client)

    def refuse(self, client):
        if not client.closing:
            client.output += b"Bad Request!\r\n"
        client.closing = True


Server().run()
