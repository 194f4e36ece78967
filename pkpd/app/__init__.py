"""`pkpd app DIR`: a fit on a projector. What is asked is a scenario; only `pages` and `server` know of Shiny."""
