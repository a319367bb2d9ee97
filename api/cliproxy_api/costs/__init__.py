"""What the fleet has spent and what follows from it, from what the operator keeps in the objects' status.

`spent` reads objects, `report` adds up and looks ahead, `advice` compares. All pure; the command line and the
operator's API tell the same.
"""
