"""What sessions cost: requests counted where they are sent, priced by the table of AWS's prices."""
