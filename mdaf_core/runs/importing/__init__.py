"""Predictions that were made elsewhere: read (`table`), recognised (`columns`), turned into log-odds (`scores`),
matched with the rows of a data set (`matching`), looked at before anything is kept (`examine`), kept (`record`)."""
