"""Out of descriptors."""

from loop import WRONG, Loop


class Server(Loop):
    def accept(self):
        try:
            super().accept()
        except OSError:
            if not WRONG:
                self.accepting = False
                self.after(0.1, self.go_on)
            # or the error is ignored, and the listener is still readable

    def go_on(self):
        self.accepting = True


Server().run()
