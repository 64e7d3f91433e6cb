"""Files that agents copy or source; printed by `hhmrs beat --snippet python|sh`. Never imported by us."""
