"""What every domain shares: exceptions, sites, nights, files and product metadata."""
