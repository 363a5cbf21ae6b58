SELECT mark, place FROM copy
