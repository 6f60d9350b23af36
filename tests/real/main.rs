mod capture_catalogue;
