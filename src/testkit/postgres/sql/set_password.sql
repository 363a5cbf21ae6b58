ALTER ROLE postgres PASSWORD :'password';
