{# Facts find any minute of a day that the dimension knows at all. #}
select date, count(*) as minutes
from {{ ref('dim_time') }}
group by date
having count(*) != 1440
