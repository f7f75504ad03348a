-- Sets an entry aside; {fault} has letters, digits and simple signs only.
UPDATE {table} SET fault = '{fault}' WHERE entry = {entry}
